// Plays the sounds of a clip together, one of them audible, and says what is heard now.
(function (EncHF) {
  "use strict";
  const FADE_S = 0.004;

  EncHF.Player = class {
    constructor() {
      this.sounds = [];
      this.loop = null; // [start, end] in seconds
      this.playing = false;
      this.onChange = () => {};
      this.position = 0;
      this.context = null;
      this.nodes = [];
    }

    // Takes the sounds of another clip; they are decoded at once, so that a click plays at once.
    load(sounds, rate, duration) {
      this.stop();
      Object.assign(this, { sounds, rate, duration, loop: null, position: 0, error: null });
      this.chosen = sounds.length ? sounds[sounds.length - 1].name : null;
      this.ready = this.decode();
      return this.ready;
    }

    async decode() {
      const decoder = new OfflineAudioContext(1, 1, this.rate);
      const decoded = this.sounds.map(async (sound) => {
        const bytes = EncHF.bytes(sound.data);
        sound.buffer = await decoder.decodeAudioData(bytes.buffer);
      });
      try {
        await Promise.all(decoded);
      } catch (error) {
        this.error = `this browser cannot play the sound: ${error.message}`;
      }
    }

    async play(from = this.position) {
      const clip = this.sounds;
      if (!clip.length || this.error) return;
      // Before anything is waited for: browsers let sound start within a click alone.
      const resumed = this.open().resume();
      await Promise.all([this.ready, resumed]);
      if (clip !== this.sounds || this.error) return;
      this.stop();
      const looping = this.loop !== null;
      if (looping && (from >= this.loop[1] || from < this.loop[0])) from = this.loop[0];
      if (from >= this.duration - 1e-3) from = 0;
      this.from = from;
      this.startedAt = this.context.currentTime + 0.01;
      for (const sound of clip) this.startNode(sound, from, looping);
      this.playing = true;
      this.onChange();
    }

    // The sound output at the rate of the clip.
    open() {
      if (this.context === null || this.context.sampleRate !== this.rate) {
        if (this.context) this.context.close();
        this.context = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
      }
      return this.context;
    }

    startNode(sound, from, looping) {
      const source = new AudioBufferSourceNode(this.context, { buffer: sound.buffer });
      const gain = new GainNode(this.context, { gain: this.gainOf(sound) });
      if (looping) {
        source.loop = true;
        [source.loopStart, source.loopEnd] = this.loop;
      }
      source.connect(gain).connect(this.context.destination);
      source.start(this.startedAt, from);
      source.onended = () => {
        if (this.nodes.length && this.nodes[0].source === source) {
          this.stop();
          this.position = this.duration;
          this.onChange();
        }
      };
      this.nodes.push({ source, gain, sound });
    }

    gainOf(sound) {
      return sound.name === this.chosen ? sound.gain : 0;
    }

    // What is heard now, in seconds of the clip: what left the loudspeaker, not what was queued.
    time() {
      if (!this.playing) return this.position;
      const passed = this.heard() - this.startedAt;
      let at = this.from + Math.max(0, passed);
      if (this.loop && at >= this.loop[1]) {
        const [start, end] = this.loop;
        at = start + ((at - start) % (end - start));
      }
      return Math.min(at, this.duration);
    }

    heard() {
      const { contextTime, performanceTime } = this.context.getOutputTimestamp();
      if (!contextTime) return this.context.currentTime - (this.context.outputLatency || 0);
      const now = contextTime + (performance.now() - performanceTime) / 1000;
      return Math.min(now, this.context.currentTime);
    }

    stop() {
      if (this.playing) this.position = this.time();
      this.playing = false;
      for (const { source } of this.nodes.splice(0)) {
        source.onended = null;
        source.stop();
      }
    }

    pause() {
      this.stop();
      this.onChange();
    }

    seek(seconds) {
      this.position = Math.min(Math.max(0, seconds), this.duration);
      if (this.playing) {
        const to = this.position;
        this.stop();
        return this.play(to);
      }
      this.onChange();
      return Promise.resolve();
    }

    setLoop(loop) {
      const at = this.time();
      this.loop = loop;
      if (this.playing) return this.play(at);
      this.onChange();
      return Promise.resolve();
    }

    // The other sound at the same position and level: both run, and the gains change places.
    choose(name) {
      this.chosen = name;
      for (const { gain, sound } of this.nodes) {
        gain.gain.setTargetAtTime(this.gainOf(sound), this.context.currentTime, FADE_S);
      }
      this.onChange();
    }
  };
})((window.EncHF = window.EncHF || {}));

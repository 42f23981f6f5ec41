// Plays the sounds of a long clip: the browser decodes them as they go on, an hour would not fit its
// memory. Its seeks are exact to a few milliseconds, and a change of sound is a seek.
(function (EncHF) {
  "use strict";
  EncHF.LONG_S = 600;

  EncHF.LongPlayer = class {
    constructor() {
      Object.assign(this, { sounds: [], loop: null, playing: false, position: 0, error: null });
      this.onChange = () => {};
      setInterval(() => this.turnAtLoop(), 20);
    }

    load(sounds, rate, duration) {
      this.drop();
      Object.assign(this, { sounds, duration, loop: null, position: 0, error: null });
      this.chosen = sounds.length ? sounds[sounds.length - 1].name : null;
      const loudest = Math.max(1, ...sounds.map((sound) => sound.gain));
      for (const sound of sounds) {
        sound.url = URL.createObjectURL(new Blob([EncHF.bytes(sound.data)], { type: sound.mime }));
        sound.element = new Audio(sound.url);
        sound.element.volume = sound.gain / loudest;
        sound.element.onended = () => this.pause();
        sound.element.onerror = () => this.failed(sound.element.error.message);
      }
      this.ready = Promise.resolve();
      return this.ready;
    }

    failed(why) {
      this.error = `this browser cannot play the sound: ${why}`;
      this.pause();
    }

    get element() {
      const sound = this.sounds.find(({ name }) => name === this.chosen);
      return sound ? sound.element : null;
    }

    async play(from = this.position) {
      if (!this.element || this.error) return;
      if (this.loop && (from >= this.loop[1] || from < this.loop[0])) from = this.loop[0];
      if (from >= this.duration - 1e-3) from = 0;
      this.element.currentTime = from;
      this.playing = true;
      await this.element.play().catch((error) => this.playing && this.failed(error.message));
      this.onChange();
    }

    time() {
      return this.playing ? Math.min(this.element.currentTime, this.duration) : this.position;
    }

    stop() {
      this.position = this.time();
      this.playing = false;
      for (const { element } of this.sounds) element.pause();
    }

    pause() {
      this.stop();
      this.onChange();
    }

    seek(seconds) {
      this.position = Math.min(Math.max(0, seconds), this.duration);
      if (this.playing) this.element.currentTime = this.position;
      this.onChange();
      return Promise.resolve();
    }

    setLoop(loop) {
      this.loop = loop;
      this.onChange();
      return Promise.resolve();
    }

    turnAtLoop() {
      if (!this.playing || !this.loop) return;
      const [start, end] = this.loop;
      const at = this.element.currentTime;
      if (at >= end || at < start - 0.1) this.element.currentTime = start;
    }

    choose(name) {
      const playing = this.playing;
      this.stop();
      this.chosen = name;
      return playing ? this.play() : Promise.resolve(this.onChange());
    }

    drop() {
      this.stop();
      for (const { element, url } of this.sounds) {
        element.onerror = null;
        element.removeAttribute("src");
        URL.revokeObjectURL(url);
      }
    }
  };
})((window.EncHF = window.EncHF || {}));

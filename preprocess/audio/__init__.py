"""Audio files: reading, resampling and writing them, their integrity, and measures of sound."""

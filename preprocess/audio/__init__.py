"""Audio files: reading, resampling, writing and integrity; and measures of sound."""

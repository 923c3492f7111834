"""Writes `sound.wav` (8 kHz, 16 bits, a rising tone with noise) and its log-mel spectrograms `mel_htk.npy` and `mel_slaney.npy`, computed with
NumPy's FFT and filters built from the definitions of torchaudio (`mel_scale="htk", norm=None`) and librosa (`htk=False, norm="slaney"`).

    python sounds.py

Made with NumPy 2.4.6."""

import wave

import numpy as np

RATE, WINDOW, HOP, MELS, FRAMES, LOG = 8000, 200, 80, 20, 40, 1e-6


def htk(f):
    return 2595.0 * np.log10(1.0 + f / 700.0)


def from_htk(m):
    return 700.0 * (10.0 ** (m / 2595.0) - 1.0)


def slaney(f):
    return np.where(f < 1000.0, f * 3.0 / 200.0, 15.0 + np.log(np.maximum(f, 1e-9) / 1000.0) / (np.log(6.4) / 27.0))


def from_slaney(m):
    return np.where(m < 15.0, m * 200.0 / 3.0, 1000.0 * np.exp((m - 15.0) * np.log(6.4) / 27.0))


def main():
    rng = np.random.default_rng(3)
    t = np.arange(2900) / RATE
    sound = 0.6 * np.sin(2 * np.pi * (200 + 900 * t) * t) + 0.05 * rng.standard_normal(t.size)
    samples = np.round(sound * 32767).clip(-32768, 32767).astype("<i2")
    with wave.open("sound.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    points = 256
    padded = np.concatenate([samples / 32768.0, np.zeros(FRAMES * HOP + WINDOW)])
    frames = np.stack([padded[i * HOP : i * HOP + WINDOW] for i in range(FRAMES)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * window, points)) ** 2
    bins = np.arange(points // 2 + 1) * RATE / points
    for name, to, back in (("htk", htk, from_htk), ("slaney", slaney, from_slaney)):
        corners = back(np.linspace(0.0, float(to(np.float64(RATE / 2))), MELS + 2))
        bank = np.zeros((MELS, bins.size))
        for m in range(MELS):
            left, center, right = corners[m : m + 3]
            bank[m] = np.maximum(0, np.minimum((bins - left) / (center - left), (right - bins) / (right - center)))
            if name == "slaney":
                bank[m] *= 2.0 / (right - left)
        np.save(f"mel_{name}.npy", np.log(power @ bank.T + LOG).astype(np.float32))


if __name__ == "__main__":
    main()

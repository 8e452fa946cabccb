import { describe, expect, it } from 'vitest';
import type { Uncertainty } from '#libs/engine';
import { Measurement } from './measurement.js';

const token = (choice: number, uncertainty: Uncertainty = { kind: 'none' }) => ({ type: 'token' as const, choice, text: 'x', uncertainty });
const exact = (entropyNats: number): Uncertainty => ({ kind: 'exact', entropyNats, nllNats: 2 * entropyNats, marginNats: 1 });
const bounds: Uncertainty = { kind: 'bounds', lowerNats: 5, upperNats: 7, restMass: 0.5, k: 5, nllNats: 4 };

describe('a measurement', () => {
  it('is empty before the first token', () => {
    expect(new Measurement(100).read()).toEqual({
      finishReason: null,
      ttftMs: null,
      interTokenMs: null,
      tokens: 0,
      entropyMeanNats: null,
      entropyMaxNats: null,
      nllMeanNats: null,
      refused: false,
      looped: false,
    });
  });

  it('takes mean and maximum over the tokens of all answers', () => {
    const measurement = new Measurement(100);
    measurement.token(token(0, exact(1)), 110);
    measurement.token(token(1, exact(3)), 112);
    measurement.token(token(0, exact(2)), 120);
    expect(measurement.read()).toMatchObject({ tokens: 3, ttftMs: 10, entropyMeanNats: 2, entropyMaxNats: 3, nllMeanNats: 4 });
  });

  it('waits between tokens as long as the reader of its longest answer did', () => {
    const measurement = new Measurement(0);
    for (const [choice, atMs] of [
      [0, 10],
      [1, 11],
      [0, 20],
      [1, 21],
      [0, 30],
    ] as const)
      measurement.token(token(choice), atMs);
    expect(measurement.read().interTokenMs).toBe(10);
  });

  it('keeps bounds out of entropy and in the likelihood', () => {
    const measurement = new Measurement(0);
    measurement.token(token(0, bounds), 1);
    expect(measurement.read()).toMatchObject({ entropyMeanNats: null, entropyMaxNats: null, nllMeanNats: 4 });
    measurement.token(token(0, exact(1)), 2);
    expect(measurement.read()).toMatchObject({ entropyMeanNats: 1, entropyMaxNats: 1, nllMeanNats: 3 });
  });

  it('calls a request cut when one of its answers was', () => {
    const measurement = new Measurement(0);
    measurement.finish(0, 'stop');
    expect(measurement.read().finishReason).toBe('stop');
    measurement.finish(1, 'content_filter');
    expect(measurement.read().finishReason).toBe('content_filter');
    measurement.finish(2, 'length');
    expect(measurement.read().finishReason).toBe('length');
  });

  it('knows a refusal by the first words and a loop by the last ones of the first answer, token by token', () => {
    const read = (words: string, choice = 0) => {
      const measurement = new Measurement(0);
      for (const word of words.split(/(?<= )/)) measurement.token({ ...token(choice), text: word }, 1);
      measurement.finish(choice, 'stop');
      const { refused, looped } = measurement.read();
      return { refused, looped };
    };
    expect(read("I'm sorry, but I can't help with that. Please ask something else.")).toEqual({ refused: true, looped: false });
    expect(read(`Open the settings. ${'and then the lamp and then the lamp '.repeat(60)}`)).toEqual({ refused: false, looped: true });
    expect(read(`I'm sorry to hear that. ${'Here is what helps: turn it off, wait, and turn it on again. '.repeat(2)}`)).toEqual({
      refused: false,
      looped: false,
    });
    expect(read("I'm sorry, but I can't help with that.", 1)).toEqual({ refused: false, looped: false });
  });
});

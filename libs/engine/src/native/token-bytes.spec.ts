import { describe, expect, it } from 'vitest';
import { tokenBytes } from './token-bytes.js';

const text = (token: string, kind: string): string => Buffer.from(tokenBytes(token, kind)).toString('utf8');

describe('the bytes of a token', () => {
  it('are read from GPT-2’s stand-ins: every byte has one, and spaces and newlines come back', () => {
    expect(text('ĠHello', 'gpt2')).toBe(' Hello');
    expect(text('Ċ', 'gpt2')).toBe('\n');
    expect(Array.from(tokenBytes('Ã¤', 'gpt2'))).toEqual([0xc3, 0xa4]);
    expect(Array.from(tokenBytes('ł', 'gpt2'))).toHaveLength(1);
  });

  it('of SentencePiece tokens are their text with real spaces, or the byte that they name', () => {
    expect(text('▁Hello', 'llama')).toBe(' Hello');
    expect(Array.from(tokenBytes('<0xE4>', 'llama'))).toEqual([0xe4]);
    expect(text('<0xZZ>', 'llama')).toBe('<0xZZ>');
  });

  it('of a text outside the alphabet are its UTF-8', () => {
    expect(text('<|im_start|>', 'gpt2')).toBe('<|im_start|>');
    expect(text('日本', 'gpt2')).toBe('日本');
  });
});

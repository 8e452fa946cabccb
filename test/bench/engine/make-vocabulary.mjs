// The tokenizer of a random model: SentencePiece with byte tokens, made of pronounceable pieces, and a ChatML template.

export const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export const specialTokens = ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>'];
/** Tokens from here on are ordinary text. */
export const firstPiece = specialTokens.length + 256;

const kind = { normal: 1, unknown: 2, control: 3, byte: 6 };
const consonants = 'bcdfghjklmnpqrstvwxyz';
const vowels = 'aeiou';

/** `size` tokens with scores (the earlier the likelier) and types. */
export function vocabulary(size) {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const pieces = [...specialTokens, ...bytes, ...Array.from({ length: size - firstPiece }, (_, index) => piece(index))];
  const types = pieces.map((_, id) => {
    if (id === 0) return kind.unknown;
    if (id < specialTokens.length) return kind.control;
    return id < firstPiece ? kind.byte : kind.normal;
  });
  return { pieces, types, scores: pieces.map((_, id) => (id < firstPiece ? 0 : firstPiece - id)) };
}

/** Distinct for distinct indexes: bijective mixed-radix numerals whose digits are letters; every other piece begins a word. */
function piece(index) {
  let letters = '';
  for (let rest = index >> 1, at = 0; rest >= 0; at += 1) {
    const set = at % 2 === 0 ? consonants : vowels;
    letters += set[rest % set.length];
    rest = Math.floor(rest / set.length) - 1;
  }
  return index % 2 === 0 ? `\u2581${letters}` : letters;
}

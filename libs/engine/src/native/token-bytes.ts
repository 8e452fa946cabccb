// The bytes behind an entry of a GGUF token table. Pure: two alphabets are in use, GPT-2's printable stand-ins for bytes and SentencePiece's.

const spaceMark = '\u2581';
const byteName = /^<0x([0-9A-Fa-f]{2})>$/;

/** GPT-2 (Radford et al. 2019, encoder.py) shows each byte as one printable character: itself where printable, else 256 + its rank. */
const gpt2Bytes: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let rank = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    map.set(String.fromCodePoint(printable ? byte : 256 + rank++), byte);
  }
  return map;
})();

/** `kind` is the file's `tokenizer.ggml.model`: `gpt2` or one of the SentencePiece family. */
export function tokenBytes(text: string, kind: string): Uint8Array {
  if (kind === 'gpt2') {
    const bytes = Array.from(text, (character) => gpt2Bytes.get(character));
    return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : Buffer.from(text, 'utf8');
  }
  const byte = byteName.exec(text)?.[1];
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  return Buffer.from(text.replaceAll(spaceMark, ' '), 'utf8');
}

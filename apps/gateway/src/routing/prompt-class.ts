// The class of a prompt, fixed before any model runs, so that the arms are compared like with like.

export interface PromptShape {
  /** All of it, or at least its first `classedLength` characters. */
  readonly text: string;
  readonly wantsJson: boolean;
}

const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$/;
/** Upper bounds of the length buckets, characters. */
const lengthBuckets = [64, 256, 1_024, 4_096] as const;
const sampleLength = 512;
/** Characters of a text that its class depends on: whether there are more or not is all the same. */
export const classedLength = 4_096 + 1;

/** True for a class name that a client may send in `x-serin-class`. */
export function isClassTag(tag: string): boolean {
  return tagPattern.test(tag);
}

/** format x script x length bucket, for example `text-latin-256`. Reads at most the first 512 characters. */
export function promptClassOf({ text, wantsJson }: PromptShape): string {
  const bucket = lengthBuckets.find((limit) => text.length <= limit);
  return `${wantsJson ? 'json' : formatOf(text)}-${scriptOf(text)}-${bucket ?? 'long'}`;
}

function formatOf(text: string): string {
  const start = text.slice(0, sampleLength);
  if (start.includes('```') || /[{};]\s*\n/.test(start)) return 'code';
  return 'text';
}

function scriptOf(text: string): string {
  let latin = 0;
  let other = 0;
  const end = Math.min(text.length, sampleLength);
  for (let at = 0; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if ((code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || (code >= 0xc0 && code <= 0x24f)) latin += 1;
    // The second half of a pair is no character of its own.
    else if (code > 0x24f && (code < 0xdc00 || code > 0xdfff)) other += 1;
  }
  return other > latin ? 'other' : 'latin';
}

// Whether an answer ends by repeating itself.

/** Characters of an answer's end that tell. */
export const loopTailChars = 512;
const longestPeriodChars = 128;
const fewestRepeats = 4;
const fewestChars = 120;

/**
 * Whether the end of `tail` is one piece of 1 to 128 characters, at least four times over and over at least 120 characters. White space at the
 * very end is not read. Rows of a table, a list or JSON differ in what they hold, and so are no loop. Cost: at most 128 short walks backwards.
 */
export function isLoop(tail: string): boolean {
  const text = tail.slice(-loopTailChars).trimEnd();
  for (let period = 1; period <= longestPeriodChars; period += 1) {
    const needed = Math.max(fewestChars, period * fewestRepeats);
    if (needed > text.length) return false;
    let at = text.length - 1;
    const stop = text.length - needed;
    while (at - period >= stop && text.charCodeAt(at) === text.charCodeAt(at - period)) at -= 1;
    if (at - period < stop) return true;
  }
  return false;
}

// Numbers in answers: "1,234.50", full-width digits and the typographic minus all mean a number.

const digits = '(?:\\d{1,3}(?:,\\d{3})+|\\d+)';
const pattern = `[-+]?(?:${digits}(?:\\.\\d+)?|\\.\\d+)(?:[eE][-+]?\\d{1,3})?`;
const whole = new RegExp(`^${pattern}$`);
const anywhere = new RegExp(pattern, 'g');

/** The number that the text is (`whole`), or the last one in it (`last`); null when there is none. */
export function numberIn(text: string, take: 'whole' | 'last'): number | null {
  const plain = text.normalize('NFKC').replaceAll('\u2212', '-').trim();
  const found = take === 'whole' ? (whole.test(plain) ? plain : undefined) : plain.match(anywhere)?.at(-1);
  if (found === undefined) return null;
  const value = Number(found.replaceAll(',', ''));
  return Number.isFinite(value) ? value : null;
}

/** True within the wider of both tolerances; the edge counts as within, rounding in the last place forgiven. */
export function isNear(value: number, reference: number, tolerance: number, relative: number): boolean {
  const limit = Math.max(tolerance, relative * Math.abs(reference));
  return Math.abs(value - reference) <= limit + 4 * Number.EPSILON * Math.max(Math.abs(value), Math.abs(reference));
}

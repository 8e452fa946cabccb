// Text equality: trimmed, Unicode-normalised, and by the rules of SQuAD.

export interface NormalForm {
  readonly form: 'NFC' | 'NFKC';
  readonly case: 'ignore' | 'keep';
  readonly punctuation: 'ignore' | 'keep';
}

/** NFKC joins full-width and half-width forms; case is folded through upper case first, so that "ß" meets "SS". */
export function normalise(text: string, { form, case: letters, punctuation }: NormalForm): string {
  let plain = text.normalize(form);
  if (letters === 'ignore') plain = plain.toUpperCase().toLowerCase().normalize(form);
  // Punctuation parts words as white space does, but "-5" is not "5" and "1.5" is not "1 5".
  if (punctuation === 'ignore') plain = plain.replaceAll(/(?![.,-]\p{N})\p{P}/gu, ' ');
  return plain.replaceAll(/[\s\u200B\uFEFF]+/gu, ' ').trim();
}

/** SQuAD's normalisation: lower case, no ASCII punctuation, no articles, single spaces. */
export function squadNormalise(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[!-/:-@[-`{-~]/g, '')
    .replaceAll(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ')
    .split(/\s+/u)
    .filter((word) => word !== '')
    .join(' ');
}

/** Token F1 as SQuAD 2 counts it: two empty answers agree wholly, one empty answer not at all. */
export function squadF1(answer: string, reference: string): number {
  const [said, wanted] = [answer, reference].map((text) =>
    squadNormalise(text)
      .split(' ')
      .filter((word) => word !== ''),
  ) as [string[], string[]];
  if (said.length === 0 || wanted.length === 0) return said.length === wanted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of said) {
    const rest = left.get(word) ?? 0;
    if (rest === 0) continue;
    left.set(word, rest - 1);
    common += 1;
  }
  return (2 * common) / (said.length + wanted.length);
}

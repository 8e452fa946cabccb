// What a test case is: the question, the reference answers, and how an answer is scored.

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** How text is cut into tokens for ROUGE-L; `score-rouge.ts` defines each. */
export type RougeTokens = 'spaces' | 'ascii' | 'unicode';

/** One closed union: adding a scorer means adding it here, in `parse-scoring.ts` and in `score.ts`, and the compiler asks for all three. */
export type Scoring =
  /** Equal after trimming both ends. */
  | { readonly type: 'exact' }
  /** Equal after Unicode normalisation; by default NFKC, case and punctuation ignored, white space collapsed. */
  | {
      readonly type: 'normalized';
      readonly form?: 'NFC' | 'NFKC';
      readonly case?: 'ignore' | 'keep';
      readonly punctuation?: 'ignore' | 'keep';
    }
  /** SQuAD token F1 of at least `min` (default 1: the normalised answers have the same words). */
  | { readonly type: 'squad'; readonly min?: number }
  /** Equal as JSON values; the order of keys and white space do not matter. */
  | { readonly type: 'json' }
  /** The named top-level fields of two JSON objects are equal; the score is the share of equal fields, a pass needs all. */
  | { readonly type: 'json-fields'; readonly fields: readonly string[] }
  /** A number within `tolerance` (absolute) or `relative` (share of the reference) of the reference, whichever is wider. */
  | { readonly type: 'numeric'; readonly tolerance?: number; readonly relative?: number; readonly take?: 'whole' | 'last' }
  /** Every string of `all` and, when given, one of `any` occurs; with `rouge_min` ROUGE-L must reach it as well. */
  | { readonly type: 'contains'; readonly all?: readonly string[]; readonly any?: readonly string[]; readonly rouge_min?: number }
  /** ROUGE-L F1 of at least `min`. */
  | { readonly type: 'rouge'; readonly min: number; readonly tokens?: RougeTokens };

export interface TestCase {
  /** Unique within the test set and stable over its versions. */
  readonly id: string;
  readonly messages: readonly ChatTurn[];
  /** One reference, or several of which the best counts. */
  readonly expected: string | readonly string[];
  readonly scoring: Scoring;
  /** What sort of question this is: the slices of a report. */
  readonly kind?: string;
  /** BCP 47 language tag. */
  readonly language?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Sampling of this case; the default is temperature 0 and the version's own token limit. */
  readonly temperature?: number;
  readonly max_tokens?: number;
}

/** The reference answers of a case, at least one. */
export function referencesOf(testCase: Pick<TestCase, 'expected'>): readonly string[] {
  return typeof testCase.expected === 'string' ? [testCase.expected] : testCase.expected;
}

// How a dialect spells the sampling fields that are not spelled alike everywhere, and what it must be told so that nothing is cut unasked.
import type { RelayEndpoint } from '../../relay.js';
import type { UpstreamFacts } from '../upstream-facts.js';

/** By the gateway's name for it. */
export type SpelledField = 'max_tokens' | 'top_k' | 'min_p' | 'repeat_penalty';

/** What a client or a version says that wants no cut. */
const noCut: Readonly<Record<SpelledField, number | null>> = { max_tokens: null, top_k: 0, min_p: 0, repeat_penalty: 1 };

export class SamplingSpelling {
  private readonly repeatName: string;
  /** "No cut" in words, of the dialects that cut unasked: see `samplingFields` of dialect.ts. */
  private readonly noCuts: readonly (readonly [SpelledField, string])[];

  constructor(private readonly facts: Pick<UpstreamFacts, 'dialect' | 'maxTokensField'>) {
    const { dialect } = facts;
    const llamaServer = dialect === 'llama-server';
    this.repeatName = llamaServer ? 'repeat_penalty' : 'repetition_penalty';
    const cutsUnasked = llamaServer || dialect === 'vllm' || dialect === 'sglang';
    this.noCuts = cutsUnasked
      ? [
          ['top_k', `"top_k":${llamaServer ? 0 : -1}`],
          ['min_p', '"min_p":0'],
          ['repeat_penalty', `"${this.repeatName}":1`],
        ]
      : [];
  }

  /** Null: not one of these fields. */
  fieldOf(name: string): SpelledField | null {
    switch (name) {
      case 'max_tokens':
      case 'top_k':
      case 'min_p':
      case 'repeat_penalty':
        return name;
      case 'max_completion_tokens':
        return 'max_tokens';
      default:
        return null;
    }
  }

  nameOf(field: SpelledField, endpoint: RelayEndpoint): string {
    if (field === 'max_tokens') return endpoint === 'chat/completions' ? this.facts.maxTokensField : field;
    return field === 'repeat_penalty' ? this.repeatName : field;
  }

  /** The value stands for "no cut": it is said by `missing`, or by silence. */
  isNoCut(field: SpelledField, value: unknown): boolean {
    return value === noCut[field];
  }

  /** Fields to add where none of `said`, without those that say "no cut", names them. */
  missing(said: ReadonlyMap<SpelledField, unknown>): string[] {
    return this.noCuts.flatMap(([field, text]) => (said.has(field) && !this.isNoCut(field, said.get(field)) ? [] : [text]));
  }
}

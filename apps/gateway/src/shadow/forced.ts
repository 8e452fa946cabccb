// Teacher forcing: stable and the candidate read what stable answered, token by token. One prompt tells more this way than ten that are answered again.
import type { EngineCapabilities, EngineError, GenerateRequest, InferenceEngine, SequenceScore } from '#libs/engine';
import type { KeptAnswer } from '../kept-answers/kept-answers.js';

export const unreadReasons = [
  /** The two versions cut text into different tokens, or one does not tell how it does. */
  'tokenizer',
  /** One of the two engines cannot score text. */
  'engine',
  /** Several prompts or answers, or tools: no one text after one prompt. */
  'form',
  /** Stable's answer was larger than may be kept in memory. */
  'memory',
  /** There is no text in it. */
  'empty',
  /** The candidate or stable failed to read it, or it took too long. */
  'failed',
  /** Users waited, or the mirror was taken back for another reason. */
  'cancelled',
] as const;
export type UnreadReason = (typeof unreadReasons)[number];

/** Means over the tokens of stable's answer, nats. */
export interface ForcedFigures {
  readonly tokens: number;
  readonly stable: { readonly nllMeanNats: number; readonly entropyMeanNats: number };
  readonly candidate: { readonly nllMeanNats: number; readonly entropyMeanNats: number };
}

/** One answer for both versions to read, each after the prompt as it has it. */
export interface Reading {
  readonly text: string;
  readonly stable: Reader;
  readonly candidate: Reader;
}

interface Reader {
  readonly score: NonNullable<InferenceEngine['score']>;
  readonly request: GenerateRequest;
}

export interface ReadingParts {
  readonly stable: InferenceEngine;
  readonly candidate: InferenceEngine;
  /** The mirrored request, for each. */
  readonly stableRequests: readonly GenerateRequest[];
  readonly candidateRequests: readonly GenerateRequest[];
  readonly kept: KeptAnswer | null;
}

/** Whether the tokens of one are the tokens of the other, and both can score them. */
export function unreadable(stable: EngineCapabilities, candidate: EngineCapabilities): 'tokenizer' | 'engine' | null {
  if (!stable.scoring || !candidate.scoring) return 'engine';
  const { vocabularyHash } = stable;
  return vocabularyHash !== null && vocabularyHash === candidate.vocabularyHash ? null : 'tokenizer';
}

export function readingOf({ stable, candidate, stableRequests, candidateRequests, kept }: ReadingParts): Reading | UnreadReason {
  const why = unreadable(stable.capabilities(), candidate.capabilities());
  if (why !== null || !stable.score || !candidate.score) return why ?? 'engine';
  const [ofStable, ofCandidate] = [stableRequests[0], candidateRequests[0]];
  if (!ofStable || !ofCandidate || stableRequests.length > 1 || (ofStable.choices ?? 1) > 1 || ofStable.tools) return 'form';
  if (kept === null || kept.lost) return 'memory';
  const text = kept.text();
  if (text === null) return 'form';
  if (text === '') return 'empty';
  return {
    text,
    stable: { score: stable.score.bind(stable), request: ofStable },
    candidate: { score: candidate.score.bind(candidate), request: ofCandidate },
  };
}

/** Both at once. Rejects with EngineError. Null: they did not read the same tokens, or there was nothing to measure. */
export async function readBoth({ text, stable, candidate }: Reading, signal: AbortSignal): Promise<ForcedFigures | null> {
  const one = new AbortController();
  const both = AbortSignal.any([signal, one.signal]);
  const read = async ({ score, request: { id, prompt, ticket } }: Reader): Promise<SequenceScore | null> => {
    try {
      const [first] = await score({ id: `${id}-read`, context: prompt, continuations: [text], ...(ticket ? { ticket } : {}) }, both);
      return first ?? null;
    } catch (error) {
      // Without the other one's it is worth nothing.
      one.abort();
      throw error as EngineError;
    }
  };
  const [byStable, byCandidate] = await Promise.all([read(stable), read(candidate)]);
  const [ours, theirs] = [byStable && meansOf(byStable), byCandidate && meansOf(byCandidate)];
  if (!ours || !theirs || ours.tokens !== theirs.tokens) return null;
  return { tokens: ours.tokens, stable: ours, candidate: theirs };
}

function meansOf({ tokens }: SequenceScore): { tokens: number; nllMeanNats: number; entropyMeanNats: number } | null {
  let [count, nll, entropy] = [0, 0, 0];
  for (const { nllNats, entropyNats } of tokens) {
    if (nllNats === null || entropyNats === null) continue;
    count += 1;
    nll += nllNats;
    entropy += entropyNats;
  }
  return count === 0 ? null : { tokens: count, nllMeanNats: nll / count, entropyMeanNats: entropy / count };
}

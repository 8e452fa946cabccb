// The families of OpenAI-compatible servers, and how what we ask is spelled for each.
import type { Constraint, Sampling } from '../engine.js';

/** `openai`: OpenAI itself, and everything that we cannot tell. */
export type Dialect = 'vllm' | 'sglang' | 'llama-server' | 'tgi' | 'ollama' | 'openai';

type Fields = Record<string, unknown>;

/** Answers to one prompt that a dialect gives at most: those without `n` would silently give one. */
export function mostChoices(dialect: Dialect): number {
  return dialect === 'tgi' || dialect === 'ollama' ? 1 : 16;
}

/**
 * Our sampling in the dialect's fields. Where a dialect has cuts of its own that it applies unasked (llama-server: top_k 40, min_p 0.05; vLLM
 * and SGLang: what the model's author wrote), "no cut" is said, or a version would be sampled in a way that its spec does not tell. Others are
 * told only what differs from no cut: OpenAI refuses fields that it does not know.
 */
export function samplingFields(sampling: Sampling, dialect: Dialect, maxTokensField: string): Fields {
  const { temperature, topP, topK, minP, maxTokens, seed, stop } = sampling;
  const knowsCuts = dialect === 'vllm' || dialect === 'sglang' || dialect === 'llama-server';
  const { frequencyPenalty = 0, presencePenalty = 0, repeatPenalty = 1, logitBias = [] } = sampling;
  const fields: Fields = { temperature, top_p: topP, [maxTokensField]: maxTokens };
  if (topK > 0) fields['top_k'] = topK;
  else if (knowsCuts) fields['top_k'] = dialect === 'llama-server' ? 0 : -1;
  if (minP > 0 || knowsCuts) fields['min_p'] = minP;
  if (seed !== undefined) fields['seed'] = seed;
  if (stop.length > 0) fields['stop'] = stop;
  if (frequencyPenalty !== 0) fields['frequency_penalty'] = frequencyPenalty;
  if (presencePenalty !== 0) fields['presence_penalty'] = presencePenalty;
  const repeat = dialect === 'llama-server' ? 'repeat_penalty' : 'repetition_penalty';
  if (repeatPenalty !== 1 || knowsCuts) fields[repeat] = repeatPenalty;
  if (logitBias.length > 0) fields['logit_bias'] = Object.fromEntries(logitBias);
  return fields;
}

/** The fields that enforce a constraint; null where the dialect has none for it. `version`: of the server, when known. */
export function constraintFields(constraint: Constraint, dialect: Dialect, version: string | null): Fields | null {
  if (constraint.kind === 'gbnf') return grammarFields(constraint.grammar, dialect, version);
  if (dialect === 'tgi') {
    const value = constraint.kind === 'jsonSchema' ? constraint.schema : { type: 'object' };
    return { response_format: { type: 'json_object', value } };
  }
  if (constraint.kind === 'jsonObject') return { response_format: { type: 'json_object' } };
  return { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: constraint.schema, strict: true } } };
}

function grammarFields(grammar: string, dialect: Dialect, version: string | null): Fields | null {
  switch (dialect) {
    case 'llama-server':
      return { grammar };
    case 'sglang':
      return { ebnf: grammar };
    case 'vllm':
      // Renamed in 0.11; each side ignores the other's name without a word.
      return isBefore(version, 0, 11) ? { guided_grammar: grammar } : { structured_outputs: { grammar } };
    case 'tgi':
    case 'ollama':
    case 'openai':
      return null;
  }
}

function isBefore(version: string | null, major: number, minor: number): boolean {
  const parts = /^v?(\d+)\.(\d+)/.exec(version ?? '');
  if (!parts) return false;
  const [has, hasMinor] = [Number(parts[1]), Number(parts[2])];
  return has < major || (has === major && hasMinor < minor);
}

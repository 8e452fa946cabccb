// What makes a generating endpoint: how its body becomes engine requests, and how its answers are written.
import type { Outcome } from '#libs/base';
import type { VersionSpec } from '#libs/contract';
import type { GenerateRequest, RelayEndpoint } from '#libs/engine';
import type { AnswerFormat, RequestFault, ScannedBody } from '#libs/openai';
import type { PromptShape } from '../routing/prompt-class.js';
import type { Need } from './needs.js';

/** A checked body, in the words of engines. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** The stream ends with the usage. */
  readonly withUsage: boolean;
  /** Answers in all, over all prompts. */
  readonly choices: number;
  /** The client gets log probabilities. */
  readonly logprobs: boolean;
  /** Likely tokens per place that it gets; null: no log probabilities. */
  readonly topLogprobs: number | null;
  /** One prompt, however many answers. */
  readonly onePrompt: boolean;
  readonly needs: readonly Need[];
  readonly shape: PromptShape;
  /** Where an answer repeats what was asked: in place of the endpoint's own. */
  readonly format?: AnswerFormat;
  /** Equal for requests that share the beginning of their prompts. */
  affinity(): string | null;
  /** One for each prompt, for a version; answers are numbered through in their order. */
  requests(id: string, spec: VersionSpec): readonly GenerateRequest[];
}

export interface Endpoint {
  /** Begins the ids of its answers. */
  readonly idPrefix: string;
  /** The field to which an engine's complaint about the length of the prompt belongs. */
  readonly promptParam: string;
  readonly format: AnswerFormat;
  /** As upstreams call it, where their own bytes may be the answer; null: answers are always made here. */
  readonly relayed: RelayEndpoint | null;
  /** Tokens of an answer when neither client nor version says how many. */
  readonly usualMaxTokens: number;
  /** Reads no more of a body than it must to judge it. */
  read(body: ScannedBody): Outcome<Asked, RequestFault>;
}

/** The value of a body that was found good before, by its outline. */
export function known<Body>(parsed: Outcome<Body, RequestFault>): Body {
  if (parsed.ok) return parsed.value;
  throw new Error(`a body's outline was good and the body is not: ${parsed.fault.message}`);
}

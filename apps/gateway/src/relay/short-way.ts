// Which requests may take the short way, where the upstream's own bytes are the answer, and what the engine is told then.
import type { VersionSpec } from '#libs/contract';
import type { InferenceEngine, RelayRequest } from '#libs/engine';
import type { ScannedBody } from '#libs/openai';
import type { Asked, Endpoint } from '../completions/endpoint.js';
import type { Wishes } from '../completions/wishes.js';

export type Relay = NonNullable<InferenceEngine['relay']>;

export interface ShortWay {
  readonly relay: Relay;
  readonly request: Omit<RelayRequest, 'deadlineMs'>;
}

export interface ShortWayInput {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly engine: InferenceEngine;
  readonly spec: VersionSpec;
  readonly body: ScannedBody;
  readonly asked: Asked;
  readonly wishes: Wishes;
}

/** Null: the answer has to be made from tokens. */
export function shortWay({ id, endpoint, engine, spec, body, asked, wishes }: ShortWayInput): ShortWay | null {
  if (
    !engine.relay ||
    endpoint.relayed === null ||
    !engine.capabilities().relay?.includes(endpoint.relayed) ||
    !asked.onePrompt ||
    wishes.uncertainty
  )
    return null;
  return {
    relay: engine.relay.bind(engine),
    request: {
      id,
      endpoint: endpoint.relayed,
      body,
      stream: asked.stream,
      withUsage: asked.withUsage,
      choices: asked.choices,
      clientTop: asked.topLogprobs,
      defaults: defaultsOf(spec, endpoint.usualMaxTokens),
      ...(spec.systemPrompt === undefined ? {} : { systemPrompt: spec.systemPrompt }),
      modelShown: asked.model,
      affinity: asked.affinity,
    },
  };
}

const known = new WeakMap<VersionSpec, Map<number, RelayRequest['defaults']>>();

/** Made once per version and endpoint. What neither client nor version says is said too: a server's own habits are no part of a version's spec. */
function defaultsOf(spec: VersionSpec, usualMaxTokens: number): RelayRequest['defaults'] {
  let ofSpec = known.get(spec);
  if (!ofSpec) {
    ofSpec = new Map();
    known.set(spec, ofSpec);
  }
  let defaults = ofSpec.get(usualMaxTokens);
  if (!defaults) {
    const { temperature = 1, topP = 1, topK = 0, minP = 0, maxTokens = usualMaxTokens, seed, stop } = spec.sampling;
    defaults = Object.freeze({
      temperature,
      top_p: topP,
      top_k: topK,
      min_p: minP,
      max_tokens: maxTokens,
      ...(seed === undefined ? {} : { seed }),
      ...(stop === undefined || stop.length === 0 ? {} : { stop }),
    });
    ofSpec.set(usualMaxTokens, defaults);
  }
  return defaults;
}

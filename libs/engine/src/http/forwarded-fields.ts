// Which fields of a client's body an upstream gets to see. What the client wrote can set neither address, headers nor credential, nor anything that is ours.
import type { RelayEndpoint } from '../relay.js';

/**
 * Fields of a client's body that are forwarded as they are. A list of what may pass and not of what may not: proxies in front of models take
 * addresses, keys and headers from bodies, each under a name of its own.
 */
export const forwarded = [
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'frequency_penalty',
  'presence_penalty',
  'logit_bias',
  'reasoning_effort',
  'verbosity',
  'modalities',
  'prediction',
  'service_tier',
  'prompt_cache_key',
  'safety_identifier',
] as const;

const generating = [...forwarded, 'stream', 'n', 'seed', 'stop', 'temperature', 'top_p'];

/** Fields that the short way leaves as they are, per endpoint. Those that it writes itself (the model, what dialects spell differently) are not among them. */
export const relayed: Readonly<Record<RelayEndpoint, ReadonlySet<string>>> = {
  'chat/completions': new Set([...generating, 'messages']),
  completions: new Set([...generating, 'prompt']),
  embeddings: new Set(['input', 'encoding_format', 'dimensions']),
  responses: new Set([
    ...['input', 'instructions', 'stream', 'temperature', 'top_p', 'max_output_tokens', 'top_logprobs', 'tools', 'tool_choice'],
    ...[
      'parallel_tool_calls',
      'reasoning',
      'text',
      'truncation',
      'include',
      'store',
      'service_tier',
      'prompt_cache_key',
      'safety_identifier',
    ],
  ]),
};

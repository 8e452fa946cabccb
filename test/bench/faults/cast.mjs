// Fourteen faults and seven harmless changes: each a candidate, beside the stable version that serves.
const file = (name) => `demo-support-${name}.gguf`;
const stableSampling = { temperature: 0.4, maxTokens: 160 };
const llama = (name, more = {}, sampling = stableSampling) => ({ engine: { kind: 'llama', file: name, ...more }, sampling });

export const stableSpec = llama(file('v1-stable'));
/** The same version behind a server of its own. */
export const fronted = (url) => ({ engine: { kind: 'openai', baseUrl: url, model: 'behind' }, sampling: stableSampling });

/**
 * `spec`: a version of the model `support`, served here. `front`: a harm done by a server in front of v1, compared with v1 behind a sound one.
 * `during`: what happens while the rollout runs.
 */
export const faults = [
  { name: 'wrong chat template', spec: llama('wrong-template.gguf') },
  { name: 'temperature x2.5', spec: llama(file('v1-stable'), {}, { ...stableSampling, temperature: 1 }) },
  { name: 'weights rounded to 2 bits', spec: llama(file('v4-rounded')) },
  { name: 'context cut to 64 tokens', spec: llama(file('v1-stable'), { contextSize: 64 }) },
  { name: 'wrong LoRA', spec: llama(file('v1-stable'), { lora: [{ file: file('v1-formal-lora'), scale: 1 }] }) },
  { name: 'looping', spec: llama(file('v5-collapsed')) },
  { name: 'refuses one in five', front: (_, random) => (random() < 0.2 ? { refuse: true } : {}) },
  { name: 'slow (2.3x per token)', spec: llama(file('v6-slow')) },
  { name: 'burst of errors (20%)', front: (_, random) => (random() < 0.2 ? { status: 500 } : {}) },
  { name: 'memory grows to its limit', spec: llama(file('v1-stable'), { contextSize: 32_768, parallel: 16, memoryLimitMb: 200 }) },
  {
    name: 'wrong system prompt',
    spec: { ...llama(file('v1-stable')), systemPrompt: 'You are a pirate. Answer every question with a long story about the sea.' },
  },
  { name: 'silently worse answers', spec: llama(file('v3-regressed')), gate: true },
  { name: 'half of one class broken', front: ({ kind }, random) => (kind === 'extract' && random() < 0.5 ? { label: 'v4' } : {}) },
  { name: 'slow tail (2% wait 10x)', front: (_, random) => (random() < 0.02 ? { delayMs: 250 } : {}) },
];

export const harmless = [
  {
    name: 'better, entropy -30% as evaluated',
    spec: llama(file('v2-improved'), {}, { ...stableSampling, temperature: 0.2 }),
    shadow: true,
  },
  { name: 'the same weights in 8 bits', spec: llama(file('v1-stable-q8_0')) },
  { name: 'new host', front: () => ({}) },
  { name: 'cold cache', spec: llama(file('v1-stable'), { parallel: 5 }) },
  { name: 'mix of the traffic changes', spec: llama(file('v1-stable'), { parallel: 6 }), during: 'mix' },
  { name: 'shared server slows down', front: () => ({}), during: 'slow' },
  { name: 'better version', spec: llama(file('v2-improved')), shadow: true, gate: true },
];

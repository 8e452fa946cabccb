// What must fit together in a model file before native code may see it: each rule here is a file that aborts, overruns or wastes a loader. Pure.
import { GgufFault } from './byte-source.js';
import type { ModelFacts } from './facts.js';
import { type Metadata, tokensKey } from './metadata.js';
import type { TensorTable } from './tensors.js';

const maxLength = 1 << 24;
const maxHeads = 1 << 16;

/** Throws GgufFault at the first thing that does not fit. What only the architecture's own code can know is left to the child. */
export function checkModel(facts: ModelFacts, metadata: Metadata, tensors: TensorTable): void {
  const { architecture } = facts;
  for (const [key, value, most] of [
    ['context_length', facts.contextLength, 2 ** 31],
    ['embedding_length', facts.embeddingLength, maxLength],
    ['feed_forward_length', facts.feedForwardLength, maxLength],
    ['attention.key_length', facts.keyLength, maxHeads],
    ['attention.value_length', facts.valueLength, maxHeads],
  ] as const) {
    // A feed-forward length of 0 is how some hybrids say that a layer has none.
    const least = key === 'feed_forward_length' ? 0 : 1;
    if (value !== null && !(Number.isInteger(value) && value >= least && value <= most))
      throw new GgufFault('absurd', `${architecture}.${key} is ${value}`);
  }
  checkHeads(facts, metadata);
  checkVocabulary(facts, metadata, tensors);
  checkLayers(facts, tensors);
}

function checkHeads({ architecture, blockCount, kvHeadsByLayer }: ModelFacts, metadata: Metadata): void {
  const heads = metadata.perLayer(`${architecture}.attention.head_count`, blockCount);
  const sound = (count: number): boolean => Number.isInteger(count) && count >= 0 && count <= maxHeads;
  heads?.forEach((count, layer) => {
    const kvHeads = kvHeadsByLayer?.[layer] ?? count;
    if (!sound(count)) throw new GgufFault('absurd', `${architecture}.attention.head_count is ${count}`);
    if (!sound(kvHeads) || (kvHeads > 0 && count % kvHeads !== 0))
      throw new GgufFault('absurd', `layer ${layer} has ${count} heads on ${kvHeads} key-value heads`);
  });
}

function checkVocabulary(facts: ModelFacts, metadata: Metadata, tensors: TensorTable): void {
  const tokens = metadata.array(tokensKey)?.length ?? null;
  for (const key of ['tokenizer.ggml.scores', 'tokenizer.ggml.token_type']) {
    const listed = metadata.array(key)?.length;
    if (tokens !== null && listed !== undefined && listed < tokens)
      throw new GgufFault('absurd', `${key} has ${listed} items for ${tokens} tokens`);
  }
  const embedding = tensors.get('token_embd.weight');
  if (!embedding) throw new GgufFault('absurd', 'the tensor token_embd.weight is missing');
  const [width, rows = 1] = embedding.shape;
  if (facts.embeddingLength !== null && width !== facts.embeddingLength)
    throw new GgufFault('absurd', `token_embd.weight is ${width} wide, the embedding length is ${facts.embeddingLength}`);
  if (tokens !== null && rows !== tokens)
    throw new GgufFault('absurd', `token_embd.weight has ${rows} rows, the vocabulary has ${tokens} tokens`);
}

function checkLayers({ weights }: ModelFacts, tensors: TensorTable): void {
  const empty = weights.byLayer.indexOf(0);
  if (empty >= 0)
    throw new GgufFault('absurd', `layer ${empty} of ${weights.byLayer.length} has no tensors (the file has ${tensors.size})`);
}

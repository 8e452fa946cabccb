// What goes back for embeddings: numbers, or the base64 of little-endian 32-bit floats, which client libraries ask for by default.

export function embeddingBody(
  model: string,
  vectors: readonly (readonly number[])[],
  { inputTokens, base64 }: { readonly inputTokens: number; readonly base64: boolean },
): string {
  return JSON.stringify({
    object: 'list',
    data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: base64 ? packed(vector) : vector })),
    model,
    usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
  });
}

function packed(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}

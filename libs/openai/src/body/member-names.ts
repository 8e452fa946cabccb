// Names of members as strings. The usual ones are compared byte for byte with strings that exist already: decoding costs ten times that.

/** Names that clients send at the top of a body. Any other name is decoded. */
const usual = [
  'model messages prompt input instructions stream stream_options temperature top_p max_tokens max_completion_tokens max_output_tokens n seed stop user',
  'frequency_penalty presence_penalty logit_bias logprobs top_logprobs top_k min_p repeat_penalty grammar tools tool_choice parallel_tool_calls',
  'response_format metadata store service_tier reasoning_effort verbosity modalities prediction prompt_cache_key safety_identifier echo suffix best_of',
  'encoding_format dimensions',
].flatMap((line) => line.split(' '));

const slots = 256;

function slotOf(lengthBytes: number, first: number, last: number): number {
  return (lengthBytes * 7 + first * 31 + last * 3) % slots;
}

const bySlot: string[][] = Array.from({ length: slots }, () => []);
for (const name of usual) bySlot[slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1))]?.push(name);

function isAt(bytes: Uint8Array, from: number, name: string): boolean {
  for (let i = 0; i < name.length; i += 1) if (bytes[from + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** The name between two quotes, unescaped. `from` is behind the opening quote, `to` is the closing one; the text is valid JSON. */
export function nameOf(bytes: Buffer, from: number, to: number, hasEscape: boolean): string {
  if (hasEscape) return JSON.parse(bytes.toString('utf8', from - 1, to + 1)) as string;
  const length = to - from;
  const candidates = bySlot[slotOf(length, bytes[from] ?? 0, bytes[to - 1] ?? 0)];
  if (candidates) {
    for (const name of candidates) if (name.length === length && isAt(bytes, from, name)) return name;
  }
  return bytes.toString('utf8', from, to);
}

// Several prompts of one request as one stream of events: each is a request of its own to the engine, so that they share its batches.
import type { GenerateRequest, InferenceEngine, TokenEvent, Usage } from '#libs/engine';

/** Answers are numbered through: choice `i` of request `p` becomes `p * choices + i`. The first fault ends all of them. */
export async function* generateAll(
  engine: InferenceEngine,
  requests: readonly GenerateRequest[],
  signal: AbortSignal,
): AsyncGenerator<TokenEvent, void, undefined> {
  const [only] = requests;
  if (requests.length === 1 && only) {
    yield* engine.generate(only, signal);
    return;
  }
  const others = new AbortController();
  const both = AbortSignal.any([signal, others.signal]);
  const streams = requests.map((request, index) => ({
    first: index * (request.choices ?? 1),
    events: engine.generate(request, both)[Symbol.asyncIterator](),
  }));
  type Stream = (typeof streams)[number];
  const step = async (stream: Stream) => ({ stream, result: await stream.events.next() });
  const waiting = new Map<Stream, ReturnType<typeof step>>(streams.map((stream) => [stream, step(stream)]));
  const ends: { usage: Usage; queueWaitMs: number }[] = [];
  try {
    while (waiting.size > 0) {
      const { stream, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(stream);
        continue;
      }
      waiting.set(stream, step(stream));
      const event = result.value;
      if (event.type === 'end') ends.push(event);
      else yield { ...event, choice: event.choice + stream.first };
    }
    // A stream without its end was cut: then there is no end of the whole either.
    if (ends.length === requests.length) yield endOf(ends);
  } finally {
    others.abort();
    // What they still say is of no use, but a rejection that nobody reads ends the process.
    await Promise.allSettled([...waiting.values(), ...streams.map(async ({ events }) => await events.return?.())]);
  }
}

function endOf(ends: readonly { usage: Usage; queueWaitMs: number }[]): TokenEvent {
  const sum = (of: (usage: Usage) => number): number => ends.reduce((total, { usage }) => total + of(usage), 0);
  return {
    type: 'end',
    usage: {
      inputTokens: sum((usage) => usage.inputTokens),
      outputTokens: sum((usage) => usage.outputTokens),
      cachedTokens: sum((usage) => usage.cachedTokens),
    },
    queueWaitMs: Math.max(...ends.map((end) => end.queueWaitMs)),
  };
}

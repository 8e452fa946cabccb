// Participants (a), (b) and (d): Serin's native engine through its port. This process stands in for the gateway; the engine is its child.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { NativeEngine } from '../../../dist/libs/engine/src/index.js';
import { timeRequests } from './measure.mjs';
import { participate } from './participant.mjs';
import { pieceAt, promptTokens } from './prompts.mjs';

const loadLimitMs = 120_000;
const runLimitMs = 600_000;
const delayResolutionMs = 1;

const log = { debug() {}, info() {}, warn() {}, error: (fields, text) => console.error(text, fields), child: () => log };

participate(async ({ file, parallel, contextSize, threads, measure, prefixCache }) => {
  const engine = new NativeEngine({
    spec: { file, contextSize, gpuLayers: 0, parallel, threads },
    log,
    trial: { measure, prefixCache },
  });
  await engine.load(AbortSignal.timeout(loadLimitMs));
  let nextId = 0;
  const kinds = new Set();

  const ask = async ({ tokens, outputTokens, logitBias = [] }, onToken) => {
    const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: outputTokens, stop: [], logitBias };
    const request = { id: `bench-${nextId++}`, prompt: { kind: 'tokens', tokens }, sampling };
    let usage = null;
    for await (const event of engine.generate(request, AbortSignal.timeout(runLimitMs))) {
      if (event.type === 'token') {
        kinds.add(event.uncertainty.kind);
        onToken();
      } else if (event.type === 'end') usage = event.usage;
    }
    return usage;
  };

  const timed = async (requests, together) => {
    const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
    delay.enable();
    const occupancies = [];
    const sampler = setInterval(() => {
      const { occupancy } = engine.stats();
      if (occupancy !== null) occupancies.push(occupancy);
    }, 250);
    const result = await timeRequests({ requests, together, pid: engine.stats().pid, ask: (request, _, onToken) => ask(request, onToken) });
    clearInterval(sampler);
    delay.disable();
    return {
      ...result,
      occupancy: occupancies.at(-1) ?? null,
      uncertainty: [...kinds].join(),
      // The histogram holds the whole interval between two ticks, its own period included.
      loopDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - delayResolutionMs),
      loopDelayMaxMs: Math.max(0, delay.max / 1e6 - delayResolutionMs),
    };
  };

  /**
   * Time to the first token by turn of a chat. A turn adds `userTokens` from the user and `answerTokens` written by the engine, which are
   * forced, so that the next prompt can repeat them. `chat` tells chats apart: none begins like another.
   */
  const turns = async ({ count, userTokens, answerTokens, chat }) => {
    const said = promptTokens(50_000 + chat * 101, count * userTokens);
    const result = [];
    let history = [];
    for (let turn = 0; turn < count; turn += 1) {
      const answer = pieceAt(chat + turn);
      const prompt = [...history, ...said.slice(turn * userTokens, (turn + 1) * userTokens)];
      const askedMs = performance.now();
      let ttftMs = null;
      const onToken = () => {
        ttftMs ??= performance.now() - askedMs;
      };
      const usage = await ask({ tokens: prompt, outputTokens: Math.max(4, answerTokens), logitBias: [[answer, 100]] }, onToken);
      result.push({ turn: turn + 1, ttftMs, cachedTokens: usage?.cachedTokens ?? 0 });
      history = [...prompt, ...Array.from({ length: answerTokens }, () => answer)];
    }
    return result;
  };

  const score = async ({ texts, length, round }) => {
    if (!engine.capabilities().scoring || !engine.score) return null;
    const continuations = Array.from({ length: texts }, (_, index) => promptTokens(90_000 + round * 1_009 + index, length));
    const startMs = performance.now();
    const scored = await engine.score({ id: `score-${round}`, context: null, continuations }, AbortSignal.timeout(runLimitMs));
    const tokens = scored.reduce((sum, one) => sum + one.tokens.length, 0);
    return { tokensPerS: (tokens / (performance.now() - startMs)) * 1_000 };
  };

  return {
    runs: {
      together: async ({ requests }) => await timed(requests, true),
      oneByOne: async ({ requests }) => await timed(requests, false),
      turns,
      score,
    },
    about: engine.capabilities().evaluation,
    close: async () => await engine.unload(0),
  };
});

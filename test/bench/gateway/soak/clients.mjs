// The soak's clients: follow the plan, and say of every request how it ended for them.
import { nowMs, sleep } from '../clock.mjs';
import { encode, headerOf, Wire } from '../load/wire.mjs';
import { answerTo } from '../process.mjs';
import { chat } from '../requests.mjs';
import { draw, mayPass, random } from './plan.mjs';

const soonMs = 150;
const slowReadMs = 3_000;
const longestMs = 60_000;

let tally = null;

function fresh() {
  return { sent: 0, ok: 0, told: 0, broken: 0, left: 0, leftEarly: 0, hung: 0, byFault: {}, violations: [] };
}

/** How an answer looks to a client that reads the protocol and nothing more. */
function verdictOf(answer, { stream }) {
  if (answer.cause === 'left') return 'left';
  if (answer.status === 200 && answer.whole && !answer.error && (!stream || answer.done)) return 'ok';
  if (answer.status >= 400 || answer.error) return 'told';
  return 'broken';
}

async function slowly(wire, asked) {
  wire.socket.pause();
  await sleep(slowReadMs);
  wire.socket.resume();
  return await asked;
}

async function one(step, wire, { path, headers }) {
  const body = chat({
    model: step.model,
    stream: step.stream,
    tokens: step.tokens,
    bytes: 1_024,
    topLogprobs: step.fault === 'slow-reader' ? 20 : null,
    note: step.fault === null ? null : `do:${step.fault}`,
  });
  const own = step.timeoutMs === null ? {} : { 'x-serin-timeout-ms': String(step.timeoutMs) };
  const bytes = encode({ path, headers: { ...headers, ...own }, body });
  let leave = null;
  const asked = wire.ask(bytes, step.leave === 'at-first' ? () => setImmediate(() => leave()) : null);
  const mine = wire.answer;
  // The connection may have gone on to its next request by then.
  leave = () => {
    if (wire.answer === mine) wire.leave();
  };
  if (step.leave === 'at-once') setImmediate(leave);
  if (step.leave === 'soon') setTimeout(leave, Math.random() * soonMs);
  let hung = false;
  const limit = setTimeout(() => {
    hung = true;
    leave();
  }, longestMs);
  const answer = await (step.fault === 'slow-reader' ? slowly(wire, asked) : asked);
  clearTimeout(limit);
  return hung ? null : answer;
}

function note(step, answer) {
  tally.sent += 1;
  if (answer === null) {
    tally.hung += 1;
    tally.violations.push({ ...step, saw: 'nothing for a minute' });
    return;
  }
  const verdict = verdictOf(answer, step);
  tally[verdict] += 1;
  if (verdict === 'left' && answer.status === 0) tally.leftEarly += 1;
  if (step.fault !== null) {
    tally.byFault[step.fault] ??= { ok: 0, told: 0, broken: 0, left: 0 };
    tally.byFault[step.fault][verdict] += 1;
  }
  const wrong =
    (step.kind === 'plain' && verdict !== 'ok') ||
    (step.kind === 'cancel' && verdict !== 'left' && verdict !== 'ok') ||
    // A refused or failed answer must say so; one that is cut in the middle may also end its connection.
    (step.kind === 'fault' && verdict === 'ok' && !mayPass.has(step.fault) && !['slow-reader', 'engine-crash'].includes(step.fault));
  if (wrong && tally.violations.length < 40) {
    const { status, cause, whole, done, error } = answer;
    tally.violations.push({ ...step, saw: { status, cause, whole, done, error, requestId: headerOf(answer, 'x-request-id') } });
  }
}

/** Runs so many streams and resolves to how they ended. `withNative` false leaves the native engine out. */
async function run({ streams, atOnce, seed, shares, target, withNative }) {
  tally = fresh();
  const uniform = random(seed);
  const startMs = nowMs();
  let begun = 0;
  const client = async () => {
    let wire = null;
    while (begun < streams) {
      begun += 1;
      let step = draw(uniform, shares);
      if (!withNative && step.model === 'native') step = { ...step, fault: 'refused', model: 'refused' };
      if (wire === null || wire.closed) wire = new Wire(target.port);
      note(step, await one(step, wire, target));
      // A reader that was slow may still get what it did not read.
      if (step.fault === 'slow-reader') wire.leave();
    }
    wire?.leave();
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return { ...tally, tookS: (nowMs() - startMs) / 1_000 };
}

answerTo({ run, sofar: () => tally });

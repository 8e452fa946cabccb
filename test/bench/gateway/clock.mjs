// One clock for all processes of a run: monotonic and counted from the machine's start, so that moments seen by two processes can be subtracted.

/** Milliseconds since this machine started. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

export async function sleep(ms) {
  await new Promise((done) => setTimeout(done, ms));
}

/** Polls until `look` is true; throws naming `what` after the limit. */
export async function until(look, what, limitMs = 30_000) {
  const giveUpAtMs = nowMs() + limitMs;
  while (!(await look())) {
    if (nowMs() > giveUpAtMs) throw new Error(`waited ${limitMs / 1_000} s in vain for ${what}`);
    await sleep(25);
  }
}

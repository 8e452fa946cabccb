// The request log: what a line says and does not say, which requests have one, and a disk that is small, full or not there.
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '#libs/base';
import { createLog } from '#libs/telemetry';
import { uniforms } from '../../../../test/support/random.js';
import { endStates } from '../observe/end-state.js';
import { RequestLog, type RequestLogSettings, requestLogFile } from './request-log.js';
import { RotatingFile } from './rotating-file.js';
import type { Answered, Ended } from './told.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-requests-'));
  file = requestLogFile(folder);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const version = { id: '1', model: 'support', label: 'v2', digest: '', spec: {} };
const answered: Answered = {
  model: 'support',
  key: { id: '0123456789abcdef', name: 'shop' },
  rolloutId: 'r1',
  arm: 'candidate',
  pinned: false,
  priority: 'live',
  promptClass: 'text-latin-short',
  stream: true,
  tries: 1,
  code: null,
  ttftMs: 12.3456,
  inputTokens: 5,
  outputTokens: 7,
  finishReason: 'stop',
  requestBody: Buffer.from('{"model":"support","user":"ann","messages":[{"role":"user","content":"My secret"}]}'),
  answer: Buffer.from('data: {"choices":[{"delta":{"content":"Your \u001b[31msecret"}}]}\n\n'),
};
const ended = (more: Partial<Ended['ending']> = {}, requestId = 'request-1'): Ended => ({
  at: Date.UTC(2026, 0, 2, 3, 4, 5),
  totalMs: 100.04,
  requestId,
  path: '/v1/chat/completions',
  ending: { version, state: 'ok', answered, ...more },
  status: 200,
});

const clock: Clock = systemClock;
function aLog(settings: Partial<RequestLogSettings> = {}, at = file): RequestLog {
  const uniform = uniforms(7);
  return new RequestLog({
    settings: { share: 1, bodies: false, mostBytes: 8_388_608, ...settings },
    file: at,
    clock,
    rng: { uniform, bytes: () => new Uint8Array() },
    log: createLog('test', 'silent'),
  });
}

async function linesOf(log: RequestLog): Promise<Record<string, unknown>[]> {
  await log.close();
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a line', () => {
  it('says who asked which version, how it ended and how long it took, and no word of what was said', async () => {
    const log = aLog();
    log.take(ended());
    expect(await linesOf(log)).toEqual([
      {
        at: '2026-01-02T03:04:05.000Z',
        requestId: 'request-1',
        path: '/v1/chat/completions',
        state: 'ok',
        status: 200,
        code: null,
        model: 'support',
        version: 'v2',
        rollout: 'r1',
        arm: 'candidate',
        pinned: false,
        priority: 'live',
        promptClass: 'text-latin-short',
        keyId: '0123456789abcdef',
        keyName: 'shop',
        stream: true,
        tries: 1,
        ttftMs: 12.3,
        totalMs: 100,
        inputTokens: 5,
        outputTokens: 7,
        finishReason: 'stop',
      },
    ]);
    expect(await readFile(file, 'utf8')).not.toMatch(/secret|ann/);
  });

  it('has the bodies only when they are wished, bounded, and as text that no terminal obeys', async () => {
    const log = aLog({ bodies: true });
    log.take(ended());
    log.take(ended({ answered: { ...answered, requestBody: Buffer.from('é'.repeat(20_000)), answer: null } }));
    log.take(ended({ version: null, state: 'gatewayError', answered: undefined } as never));
    const [whole, long, none] = await linesOf(log);
    expect(whole).toMatchObject({ request: answered.requestBody.toString(), answer: answered.answer?.toString() });
    expect(await readFile(file, 'latin1')).not.toContain('\u001b');
    expect(long).toMatchObject({ request: expect.stringMatching(/^é{8192}\.\.\. \(cut at 16384 bytes\)$/), answer: null });
    expect(none).toMatchObject({ request: null, answer: null });
  });
});

describe('the share', () => {
  it('leaves out what did not fail, and nothing that did', async () => {
    const log = aLog({ share: 0 });
    for (const state of endStates) log.take(ended({ state }, state));
    log.take(ended({ answered: { ...answered, tries: 2 } }, 'tried-again'));
    expect((await linesOf(log)).map(({ requestId }) => requestId)).toEqual([
      'upstreamError',
      'cut',
      'timeoutConnect',
      'timeoutFirstToken',
      'timeoutBetweenTokens',
      'timeoutTotal',
      'gatewayError',
      'tried-again',
    ]);
  });

  it('is drawn per request', async () => {
    const log = aLog({ share: 0.1 });
    for (let i = 0; i < 2_000; i += 1) log.take(ended());
    const { length } = await linesOf(log);
    expect(Math.abs(length - 200)).toBeLessThan(5 * Math.sqrt(2_000 * 0.1 * 0.9));
  });
});

describe('on disk', () => {
  it('it is readable by its owner alone, also when the file was there before', async () => {
    await linesOf(aLog());
    const first = aLog();
    first.take(ended());
    await first.close();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'gateway', 'requests'))).mode & 0o777).toBe(0o700);
    await chmod(file, 0o644);
    const second = aLog();
    second.take(ended());
    expect(await linesOf(second)).toHaveLength(2);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('it is put aside when it is full, and the oldest goes', async () => {
    const rotating = new RotatingFile({ file, fileBytes: 100, olderFiles: 2 });
    for (let i = 0; i < 10; i += 1) await rotating.append(`${String(i).repeat(39)}\n`);
    await rotating.close();
    expect((await readdir(join(folder, 'gateway', 'requests'))).sort()).toEqual(['requests.jsonl', 'requests.jsonl.1', 'requests.jsonl.2']);
    const firsts = async (name: string) => (await readFile(name, 'utf8')).split('\n').map((line) => line.slice(0, 1));
    expect(await firsts(file)).toEqual(['8', '9', '']);
    expect(await firsts(`${file}.1`)).toEqual(['6', '7', '']);
    expect(await firsts(`${file}.2`)).toEqual(['4', '5', '']);
    // A file goes on where a process before left it.
    const next = new RotatingFile({ file, fileBytes: 100, olderFiles: 2 });
    await next.append(`${'a'.repeat(39)}\n`);
    await next.close();
    expect(await firsts(`${file}.1`)).toEqual(['8', '9', '']);
  });

  it('it is not written through a link', async () => {
    const other = join(folder, 'other');
    await writeFile(other, '');
    const rotating = new RotatingFile({ file: join(folder, 'link'), fileBytes: 100, olderFiles: 2 });
    await symlink(other, join(folder, 'link'));
    await expect(rotating.append('line\n')).rejects.toMatchObject({ code: 'ELOOP' });
    expect(await readFile(other, 'utf8')).toBe('');
  });
});

describe('a disk that does not take it', () => {
  it('loses lines, which are counted, and nothing else: no room left', async () => {
    const log = aLog({}, '/dev/full');
    for (let i = 0; i < 3; i += 1) log.take(ended());
    await log.close();
    expect(log.figures()).toEqual({ written: 0, dropped: 3, waitingBytes: 0 });
  });

  it('is tried again: lines that come when it can be written are written', async () => {
    await writeFile(join(folder, 'gateway'), 'not a folder');
    const log = aLog();
    log.start();
    log.take(ended());
    const deadline = Date.now() + 10_000;
    const until = async (look: () => boolean) => {
      while (!look()) {
        if (Date.now() > deadline) throw new Error(`in vain: ${JSON.stringify(log.figures())}`);
        await clock.sleep(10);
      }
    };
    await until(() => log.figures().dropped === 1);
    await rm(join(folder, 'gateway'));
    log.take(ended({}, 'second'));
    await until(() => log.figures().written === 1);
    expect((await linesOf(log)).map(({ requestId }) => requestId)).toEqual(['second']);
  });

  it('costs no more memory than four mebibytes', async () => {
    const log = aLog({ bodies: true });
    const big = ended({ answered: { ...answered, requestBody: Buffer.alloc(16_384, 'x') } });
    for (let i = 0; i < 1_000; i += 1) log.take(big);
    const { dropped, waitingBytes } = log.figures();
    expect(waitingBytes).toBeLessThanOrEqual(4_194_304);
    expect(dropped).toBeGreaterThan(700);
    expect((await linesOf(log)).length + dropped).toBe(1_000);
  });
});

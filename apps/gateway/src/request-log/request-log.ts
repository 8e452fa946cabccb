// One line per request on disk, off by default: failures always, the rest by a share, behind the request path and never in its way.
import { join } from 'node:path';
import { type Clock, Pulse, type Rng } from '#libs/base';
import { type Log, QuietLog } from '#libs/telemetry';
import type { EndState } from '../observe/end-state.js';
import { RotatingFile } from './rotating-file.js';
import { type Ended, lineOf } from './told.js';

export interface RequestLogSettings {
  /** Of requests that did not fail, 0 to 1. */
  readonly share: number;
  /** Also what was asked and answered, up to 16 KiB of each. */
  readonly bodies: boolean;
  /** On disk, all files together. */
  readonly mostBytes: number;
}

export interface RequestLogFigures {
  /** Lines since the start. */
  readonly written: number;
  /** Lines that found the buffer full, or a disk that did not take them. */
  readonly dropped: number;
  readonly waitingBytes: number;
}

export const bodyBytes = 16_384;
const waitingMostBytes = 4_194_304;
const writeEveryMs = 500;
const olderFiles = 7;
/** For the last lines; a disk that hangs must not hold up a stop. */
const goodbyeMs = 2_000;

/** Kept whatever the share: what somebody will ask about. */
const always: ReadonlySet<EndState> = new Set([
  'upstreamError',
  'cut',
  'timeoutConnect',
  'timeoutFirstToken',
  'timeoutBetweenTokens',
  'timeoutTotal',
  'gatewayError',
]);

export function requestLogFile(dataDir: string): string {
  return join(dataDir, 'gateway', 'requests', 'requests.jsonl');
}

export interface RequestLogParts {
  readonly settings: RequestLogSettings;
  readonly file: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

export class RequestLog {
  private readonly file: RotatingFile;
  private readonly pulse: Pulse;
  private readonly quiet: QuietLog;
  private lines: string[] = [];
  private waitingBytes = 0;
  private written = 0;
  private dropped = 0;

  constructor(private readonly parts: RequestLogParts) {
    const { settings, file, clock, log } = parts;
    this.file = new RotatingFile({ file, fileBytes: Math.floor(settings.mostBytes / (olderFiles + 1)), olderFiles });
    this.quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: writeEveryMs,
      beat: async () => await this.write(),
      onError: (error) => this.complain(error),
    });
  }

  /** Bytes of an answer to keep until it is known whether its line is written; 0: none. */
  get answerBytes(): number {
    return this.parts.settings.bodies ? bodyBytes + 1 : 0;
  }

  start(): void {
    this.pulse.start();
  }

  /** Costs a line of JSON at most; never waits. */
  take(ended: Ended): void {
    const { settings, rng } = this.parts;
    const { state, answered } = ended.ending;
    const kept = always.has(state) || (answered?.tries ?? 0) > 1 || (settings.share > 0 && rng.uniform() < settings.share);
    if (!kept) return;
    const line = lineOf(ended, settings.bodies ? bodyBytes : null);
    // UTF-16 units: near enough for a bound on memory.
    if (this.waitingBytes + line.length > waitingMostBytes) {
      this.dropped += 1;
      return;
    }
    this.lines.push(line);
    this.waitingBytes += line.length;
  }

  figures(): RequestLogFigures {
    const { written, dropped, waitingBytes } = this;
    return { written, dropped, waitingBytes };
  }

  private complain(error: unknown): void {
    this.quiet.warn('the request log cannot be written; its lines are dropped and counted', error);
  }

  private async write(): Promise<void> {
    const { lines } = this;
    if (lines.length === 0) return;
    this.lines = [];
    const bytes = this.waitingBytes;
    try {
      await this.file.append(lines.join(''));
      this.written += lines.length;
    } catch (error) {
      this.dropped += lines.length;
      throw error;
    } finally {
      // Only now: what a slow disk has not taken yet is memory too.
      this.waitingBytes -= bytes;
    }
  }

  async close(): Promise<void> {
    const over = new AbortController();
    const last = (async () => {
      await this.pulse.stop();
      await this.write();
      await this.file.close();
    })().catch((error: unknown) => this.complain(error));
    await Promise.race([last.finally(() => over.abort()), this.parts.clock.sleep(goodbyeMs, over.signal).catch(() => undefined)]);
  }
}

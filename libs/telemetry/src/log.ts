// Structured logs: JSON lines on stdout, control characters escaped by JSON itself, secrets never passed in.
import pino from 'pino';

export type Log = pino.Logger;

/** A logger that names its part. `level` from `SERIN_LOG_LEVEL` is read by the app and passed in. */
export function createLog(name: string, level: string = 'info'): Log {
  return pino({ name, level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime });
}

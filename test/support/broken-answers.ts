// What a streaming upstream can do wrong in its answer, and what must be said of it: the same whichever way the answer is read.
import type { EngineFault } from '#libs/engine';
import type { UpstreamFault } from './upstream.js';

/** What it does, and the code, the retryability and the words of the one fault that follows. */
export type BrokenAnswer = readonly [what: string, UpstreamFault, EngineFault['code'], retryable: boolean, message: RegExp];

export const garbage = (bytes: string | Uint8Array): UpstreamFault => ({ kind: 'garbage', after: 2, bytes });
export const outOfMemory = { error: { message: 'CUDA out of memory', type: 'InternalServerError', code: 500 } };

export const brokenAnswers: readonly BrokenAnswer[] = [
  ['dies in the middle', { kind: 'cut', after: 2 }, 'engine.upstream-error', true, /closed the connection/],
  ['dies before it begins', { kind: 'cut', after: 'request' }, 'engine.upstream-error', true, /closed the connection/],
  ['ends in good order without a finish reason', { kind: 'endEarly', after: 3 }, 'engine.upstream-error', true, /in the middle/],
  ['lacks its end mark', { kind: 'noEndMark' }, 'engine.upstream-error', true, /end mark/],
  ['lacks its usage', { kind: 'noUsage' }, 'engine.upstream-error', true, /usage/],
  ['goes on after its end', { kind: 'goesOn' }, 'engine.upstream-error', true, /went on/],
  ['was given up by the server', { kind: 'finish', reason: 'abort' }, 'engine.upstream-error', true, /gave the request up/],
  ['reports an error', { kind: 'error', after: 2, as: 'data', error: outOfMemory }, 'engine.upstream-error', true, /CUDA out of memory/],
  ['reports an error by an event', { kind: 'error', after: 0, as: 'event', error: outOfMemory }, 'engine.upstream-error', true, /CUDA/],
  [
    'reports an error by a field',
    { kind: 'error', after: 2, as: 'field', error: outOfMemory.error },
    'engine.upstream-error',
    true,
    /CUDA/,
  ],
  [
    'reports a bad request late',
    { kind: 'error', after: 0, as: 'data', error: { error: { message: 'bad logit_bias', code: 400 } } },
    'engine.bad-request',
    false,
    /logit_bias/,
  ],
  [
    'reports that it is full',
    { kind: 'error', after: 0, as: 'data', error: { error: { message: 'busy', code: 503 } } },
    'engine.overloaded',
    true,
    /busy/,
  ],
  ['holds an event that is not JSON', garbage('data: {nope\n\n'), 'engine.upstream-error', true, /not JSON/],
  ['holds a chunk that is none', garbage('data: {"hello":1}\n\n'), 'engine.upstream-error', true, /no chunk/],
  ['holds a list', garbage('data: [1]\n\n'), 'engine.upstream-error', true, /not an object/],
  ['holds choices that are none', garbage('data: {"choices":[7]}\n\n'), 'engine.upstream-error', true, /choice that is none/],
  [
    'holds a choice nobody asked for',
    garbage('data: {"choices":[{"index":4,"delta":{"content":"x"}}]}\n\n'),
    'engine.upstream-error',
    true,
    /choice 4/,
  ],
  [
    'holds an event without end',
    { kind: 'endless', piece: 'data: '.padEnd(60_000, 'x') },
    'engine.upstream-error',
    true,
    /longer than 1 MiB/,
  ],
  ['is endless', { kind: 'endless', piece: ': ping\n\n'.repeat(20_000) }, 'engine.upstream-error', true, /more than \d+ bytes/],
  [
    'is an error with status 200',
    { kind: 'instead', type: 'application/json', body: JSON.stringify(outOfMemory) },
    'engine.upstream-error',
    true,
    /CUDA/,
  ],
  [
    'is a web page',
    { kind: 'instead', type: 'text/html', body: '<html>Welcome</html>' },
    'engine.upstream-error',
    true,
    /text\/html instead of an event stream/,
  ],
  ['is compressed', { kind: 'compressed' }, 'engine.upstream-error', false, /compressed/],
  ['is not HTTP', { kind: 'noHttp' }, 'engine.upstream-error', true, /does not speak HTTP/],
  [
    'has headers without end',
    { kind: 'status', status: 200, headers: { 'x-long': 'x'.repeat(64_000) } },
    'engine.upstream-error',
    true,
    /headers/,
  ],
  ['leads elsewhere', { kind: 'redirect', to: 'http://169.254.169.254/latest' }, 'engine.upstream-error', false, /redirect/],
];

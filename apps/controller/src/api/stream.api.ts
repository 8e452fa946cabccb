// /api/v1/stream: server-sent events. A reader that does not keep up is cut off and comes back to the current state.
import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FaultError } from '#libs/base';
import { Requires } from '../auth/requires.js';
import { StreamHub, type StreamMessage } from '../stream-hub.js';

const heartbeatMs = 15_000;
/** Bytes that may wait in a socket before its reader counts as gone. */
const mostWaitingBytes = 1_048_576;

function frame({ id, event, data }: StreamMessage): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

@Controller('api/v1/stream')
export class StreamApi {
  constructor(@Inject(StreamHub) private readonly hub: StreamHub) {}

  /** First the current rollouts, then what changes. `last-event-id` needs no replay: the opening is the newest state. */
  @Get()
  @Requires('rollouts:read')
  async open(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { raw } = reply;
    const opening = await this.hub.opening();
    const send = (text: string): void => {
      if (raw.writableLength > mostWaitingBytes) raw.destroy();
      else if (!raw.destroyed && !raw.writableEnded) raw.write(text);
    };
    const unsubscribe = this.hub.subscribe((message) => send(frame(message)));
    if (!unsubscribe) {
      throw new FaultError({
        code: 'auth.too-many-streams',
        message: 'Too many streams are open.',
        retryable: true,
        remedy: 'Close other dashboards, or try again later.',
      });
    }
    reply.hijack();
    const heartbeat = setInterval(() => send(': still here\n\n'), heartbeatMs);
    request.raw.once('close', () => {
      clearInterval(heartbeat);
      unsubscribe();
    });
    raw.on('error', () => raw.destroy());
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
    send('retry: 1000\n\n');
    for (const message of opening) send(frame(message));
  }
}

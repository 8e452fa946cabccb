// How long a client may not read what it was sent, and how much of it may wait: beyond, it is cut, and counted as a client that left.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface PatienceSettings {
  /** Milliseconds without a single byte read while bytes wait. */
  readonly stalledMs: number;
  /** Bytes of a stream in a client's buffer while its upstream is paused. A whole answer is as large as it is. */
  readonly waitingBytes: number;
}

export const usualPatience: PatienceSettings = { stalledMs: 30_000, waitingBytes: 1_048_576 };

/** The kernel's own progress counts: a slow client that reads at all is not cut. Cutting is closing; whoever serves the request sees the client go. */
export class Patience {
  constructor(private readonly settings: PatienceSettings = usualPatience) {}

  /** Bytes wait. */
  wait(response: ServerResponse, stream: boolean): void {
    const { socket } = response;
    if (!socket) return;
    if (stream && socket.writableLength > this.settings.waitingBytes) response.destroy();
    else if (socket.timeout !== this.settings.stalledMs) socket.off('timeout', cut).setTimeout(this.settings.stalledMs, cut);
  }

  /** All of it was read. */
  read({ socket }: ServerResponse): void {
    socket?.setTimeout(0, cut);
  }

  /** The answer has been handed over; what the client has not read yet may not lie here for ever. */
  handedOver(response: ServerResponse): void {
    if (!response.writableFinished && (response.socket?.writableLength ?? 0) > 0) this.wait(response, false);
  }
}

function cut(this: Socket): void {
  this.destroy();
}

// Bytes as people read them in messages.

/** "1536 MiB", rounded up: a need is never told smaller than it is. */
export function wholeMiB(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

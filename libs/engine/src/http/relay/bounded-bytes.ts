// A body that is read as one piece, with a bound: an upstream that does not stop must not fill our memory.
export class BoundedBytes {
  private readonly pieces: Buffer[] = [];
  private size = 0;

  constructor(private readonly mostBytes: number) {}

  /** False when it does not fit any more; what fits is kept. */
  take(piece: Buffer): boolean {
    const left = this.mostBytes - this.size;
    const fits = piece.length <= left;
    this.pieces.push(fits ? piece : piece.subarray(0, left));
    this.size += Math.min(piece.length, left);
    return fits;
  }

  /** One piece is given as it came. */
  bytes(): Buffer {
    const [only] = this.pieces;
    return this.pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.pieces, this.size);
  }
}

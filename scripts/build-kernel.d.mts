/** The assembled module's bytes. */
export function assemble(): Promise<Buffer>;

/** The assembled module, for the path of a text from the root, without its ending. */
export function assemble(kernel: string): Promise<Buffer>;

import { describe, expect, it } from 'vitest';
import { findLoadedLibraries } from './find-library.js';
import { firstMismatch } from './layouts.js';

const model = {
  n_gpu_layers: -1,
  split_mode: 1,
  load_mode: -1,
  lazy_mode: 1,
  main_gpu: 0,
  vocab_only: false,
  check_tensors: false,
  use_extra_bufts: true,
  no_host: false,
  no_alloc: false,
  load_mtp: false,
};

describe('the proof of layouts', () => {
  it('holds for the defaults of the pinned release', () => {
    expect(firstMismatch('model', model)).toBeNull();
  });

  it('names the first field that is not where it was', () => {
    expect(firstMismatch('model', { ...model, main_gpu: 256 })).toBe('model parameter main_gpu is 256, the pinned release has 0');
    expect(firstMismatch('context', { ...model })).toContain('n_ctx');
  });
});

describe('the libraries of this process', () => {
  const line = (path: string): string => `7f00-7f01 r-xp 00000000 fe:00 1   ${path}`;

  it('are found by their names among all mapped files, whatever the back end', () => {
    const maps = [
      '/a/libllama-common.so',
      '/a/libllama.cuda.v0.5.0.so',
      '/a/libggml-base.so',
      '/a/libggml-cpu-zen4.so',
      '/usr/lib/libc.so.6',
    ];
    expect(findLoadedLibraries(maps.map(line).join('\n'))).toEqual({
      llama: '/a/libllama.cuda.v0.5.0.so',
      ggmlBase: '/a/libggml-base.so',
      ggmlCpu: '/a/libggml-cpu-zen4.so',
    });
  });

  it('are not found where one is missing, or the system does not tell', () => {
    expect(findLoadedLibraries(line('/a/libllama.v0.5.0.so'))).toBeNull();
    expect(findLoadedLibraries('')).toBeNull();
  });
});

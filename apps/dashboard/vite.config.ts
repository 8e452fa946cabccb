// Builds the dashboard into dist/apps/dashboard, where the controller serves it from.
import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // `#libs/contract` is read from its source, as the compiler does.
  resolve: { conditions: ['serin-source', ...defaultClientConditions] },
  build: {
    outDir: '../../dist/apps/dashboard',
    emptyOutDir: true,
    target: 'es2023',
    // The content security policy forbids data: scripts and styles; a file each is also what caches best.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Kilobytes before compression; the promise is 300 KB after it (some 200 now).
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:3000' } },
});

import { defineConfig } from "vite";

// Names carry no hash, so that a rebuild of the same sources gives the same files and `scripts/check-dashboard` can compare them.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/crossmargin/service/static",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        entryFileNames: "assets/dashboard.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/dashboard[extname]",
      },
    },
  },
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "assets/[name].js" } } },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8765", ws: true }, "/health": "http://127.0.0.1:8765" } },
});

import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    exclude: [...configDefaults.exclude, ".stryker-tmp"],
    reporters: ["default", "junit"],
    coverage: { provider: "istanbul", include: ["src/**"], reporter: ["text", "json"], reportsDirectory: "reports" },
  },
});

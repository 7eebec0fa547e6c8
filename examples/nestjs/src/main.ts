import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { session } from "pgstore/express";
import { AppModule } from "./app.module.js";
import { Sessions } from "./sessions.module.js";

async function main(): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule);
  app.use(session(app.get(Sessions).manager));
  const port = Number(process.env.PORT || 4000);
  await app.listen(port, "127.0.0.1");
  console.log(`http://localhost:${port}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void app.close());
}

void main();

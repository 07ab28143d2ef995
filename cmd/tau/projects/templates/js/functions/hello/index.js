import { greet } from "./greet.js";

export default {
  // fetch answers a request, as on Workers. env has what tau.yaml says below environment, and secrets; ctx.params what is in {} in a path.
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const name = ctx.params.name ?? url.searchParams.get("name") ?? "world";
    if (request.method === "POST") {
      const sent = await request.json();
      return Response.json({ sent, greeting: greet(env.GREETING, name) });
    }
    console.log("greeted", name); // dreamland logs -f --function PROJECT/hello; on a node: tau logs -f --project PROJECT --function hello
    return new Response(greet(env.GREETING, name) + "\n");
  },
};

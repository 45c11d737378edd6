/** GETs `url` at a canary pod: the HTTP status, or why there was none. 5 s at most. */
export type Prober = { probe(url: string): Promise<{ readonly status: number } | { readonly failed: string }> };

/** Names of the Kubernetes Services that stand for stable and canary. */
export type Sides = { readonly stable: string; readonly canary: string };

export const sidesOf = (deployment: string): Sides => ({
  stable: `${deployment}-stable`,
  canary: `${deployment}-canary`,
});

// `GET /v1/models`.

export function modelList(models: readonly { readonly name: string; readonly createdS: number }[]): string {
  return JSON.stringify({
    object: 'list',
    data: models.map(({ name, createdS }) => ({ id: name, object: 'model', created: createdS, owned_by: 'serin' })),
  });
}

// Postgres: the embedded server, the database handle and one store per table family. One line per file.
export * from './database.js';
export * from './embedded/supervisor.js';
export * from './entities.js';

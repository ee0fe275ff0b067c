"""One file per family of subcommands; `cli.COMMANDS` lists them."""

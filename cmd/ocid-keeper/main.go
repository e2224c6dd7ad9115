// Command ocid-keeper stands for one container of a runtime whose containers
// are no processes of the host's. The monitor runs it; see package keeper.
package main

import (
	"os"

	"ocid/impl/keeper"
)

func main() { os.Exit(keeper.Main(os.Args)) }

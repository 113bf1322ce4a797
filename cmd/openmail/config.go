package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"openmail/internal/app"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Print every setting of the server with its value and meaning", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, values, err := load(cmd)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON { // the root command has it
				return printSettingsJSON(cmd.OutOrStdout(), values)
			}
			return printSettings(cmd.OutOrStdout(), values)
		},
	}
	settingFlags(cmd)
	return cmd
}

func printSettings(w io.Writer, values app.Values) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENVIRONMENT\tFLAG\tVALUE\tFROM\tMEANING")
	for _, v := range values {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.Env, dashes(v.Flag), orDash(v.Shown()), v.Source, v.Meaning)
	}
	return t.Flush()
}

func dashes(flag string) string {
	if flag == "" {
		return "-"
	}
	return "--" + flag
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printSettingsJSON(w io.Writer, values app.Values) error {
	type row struct {
		Env     string `json:"env"`
		Flag    string `json:"flag"`
		Value   string `json:"value"`
		Source  string `json:"source"`
		Default string `json:"default"`
		Meaning string `json:"meaning"`
	}
	rows := make([]row, len(values))
	for i, v := range values {
		rows[i] = row{v.Env, v.Flag, v.Shown(), v.Source, v.Default, v.Meaning}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

package console

import "time"

// chart is a bar chart over time as the console draws it: an SVG of plain
// rectangles, with the same numbers as a table beside it.
type chart struct {
	Title, Summary string // Summary is the chart in one sentence, for who can't see it
	Width, Height  float64
	Bars           []chartBar
	Lines          []chartLine
	Columns        []string // heads of the table: the time, then one for each kind
	Rows           []chartRow
}

type chartBar struct {
	Kind       string // class of its colour: one, two
	X, Y, W, H float64
}

// chartLine is a level across the chart, such as a limit.
type chartLine struct {
	Kind string
	Y    float64
}

type chartRow struct {
	At     time.Time
	Values []int64
}

// chartKinds are the classes of the values of a row, from the bottom of its bar up.
var chartKinds = []string{"one", "two", "three"}

// The space of a chart, in units of its own: the page stretches it.
const (
	chartWidth  = 720.0
	chartHeight = 160.0
	chartGap    = 2.0
)

// newChart stacks the values of each row into one bar. levels are drawn as lines,
// and the scale reaches up to them.
func newChart(title, summary string, columns []string, rows []chartRow, levels ...int64) chart {
	c := chart{Title: title, Summary: summary, Width: chartWidth, Height: chartHeight, Columns: columns, Rows: rows}
	most := int64(1)
	for _, row := range rows {
		var sum int64
		for _, v := range row.Values {
			sum += v
		}
		most = max(most, sum)
	}
	for _, l := range levels {
		most = max(most, l)
	}
	step := chartWidth / float64(max(len(rows), 1))
	for i, row := range rows {
		top := chartHeight
		for n, v := range row.Values {
			h := chartHeight * float64(v) / float64(most)
			top -= h
			if v > 0 {
				c.Bars = append(c.Bars, chartBar{Kind: chartKinds[n%len(chartKinds)], X: float64(i)*step + chartGap/2, Y: top,
					W: max(step-chartGap, 1), H: h})
			}
		}
	}
	for n, l := range levels {
		c.Lines = append(c.Lines, chartLine{Kind: chartKinds[n%len(chartKinds)],
			Y: chartHeight * (1 - float64(l)/float64(most))})
	}
	return c
}

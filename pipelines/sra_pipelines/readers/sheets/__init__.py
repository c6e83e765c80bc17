"""Parts of the spreadsheet readers: number formats, and what is stored beside the cells of a workbook."""

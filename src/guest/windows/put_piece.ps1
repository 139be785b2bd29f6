$bytes = [Convert]::FromBase64String($mosdat_input)
$file = [System.IO.File]::Open($env:new, 'Append', 'Write', 'None')
$file.Write($bytes, 0, $bytes.Length)
$file.Close()
exit 0
